"""Compares graft with the Hugging Face tokenizers package on every Go file
below a directory: ids, tokens, offsets and decoded text. Run from the repository root:
    python go/tokenizer/testdata/source.py tokenizer.json $(go env GOROOT)/src"""
import pathlib, sys, tempfile
from tokenizers import Tokenizer
from differential import Answers, Report

spec, root = sys.argv[1:]
source, reference, report, size, skipped = pathlib.Path(spec).read_text(), Tokenizer.from_file(spec), Report(), 0, 0
with tempfile.TemporaryDirectory() as directory:
    answers = Answers(directory)
    for p in sorted(p for p in pathlib.Path(root).rglob("*.go") if p.is_file()):
        try: text = p.read_bytes().decode()
        except UnicodeDecodeError: skipped += 1; continue
        e = reference.encode(text)
        got = answers.ask({"tokenizer": source, "texts": [[text]], "ids": []})["encodings"][0]
        size += len(text)
        for key, want in ("ids", e.ids), ("tokens", e.tokens), ("offsets", [list(o) for o in e.offsets]):
            report(key, {}, str(p), got[key] or [], want, equal=(got[key] or []) == want)
print(f"{size} characters, {skipped} files are not UTF-8")
report.finish()
