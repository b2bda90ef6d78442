"""Writes records*.parquet, as pyarrow and datasets write them, and
records.jsonl with the same rows. Run with pyarrow: python make_parquet.py"""

import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(__file__).parent


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


call = {"type": "function", "function": {"name": "time", "arguments": '{"zone": "UTC"}'}}
rows = [
    {"messages": [turn("user", "héllo 😀"), turn("assistant", "yo")], "tools": None},
    {"messages": [turn("user", "what time?"), turn("assistant", None, tool_calls=[call]), turn("tool", "12:00"),
                  turn("assistant", "noon")], "tools": '[{"name": "time"}]'},
    {"messages": [turn("user", "x" * 300), turn("assistant", "\n\n")], "tools": None},
] * 40
string = pa.string()
function = pa.struct([("name", string), ("arguments", string)])
message = pa.struct([("role", string), ("content", string),
                     ("tool_calls", pa.list_(pa.struct([("type", string), ("function", function)])))])
schema = pa.schema([("messages", pa.list_(message)), ("tools", string)])
table = pa.Table.from_pylist(rows, schema=schema)
pq.write_table(table, here / "records.parquet", compression="snappy", row_group_size=50, data_page_size=2000)
pq.write_table(table, here / "records-zstd.parquet", compression="zstd", data_page_version="2.0", use_dictionary=False)


def there(value):
    if isinstance(value, dict):
        return {k: there(v) for k, v in value.items() if v is not None}
    return [there(v) for v in value] if isinstance(value, list) else value


with open(here / "records.jsonl", "w") as f:
    for row in rows:
        f.write(json.dumps(there(row), ensure_ascii=False) + "\n")
tokens = pa.table({
    "input_ids": pa.array([[1, 2, 3], [4], [5, 6]], pa.list_(pa.int32())),
    "labels": pa.array([[-100, 2, 3], [4], [-100, 6]], pa.list_(pa.int64())),
    "score": pa.array([0.5, None, 1.5], pa.float32()), "n": pa.array([1, 2**63, 3], pa.uint64()),
    "good": pa.array([True, False, None]),
    "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int32())),
})
pq.write_table(tokens, here / "tokens.parquet", compression="gzip")
