"""Compares graft with the Hugging Face tokenizers package on every Go file
below a directory: ids, byte offsets and decoded text. Run from the repository root:
    python go/tokenizer/testdata/differential.py tokenizer.json $(go env GOROOT)/src"""
import json, pathlib, subprocess, sys, tempfile
from tokenizers import Tokenizer

GO = r'''package main
import ("bufio"; "encoding/json"; "os"; "github.com/graftlm/graft/go/tokenizer")
func main() {
	t, err := tokenizer.Load(os.Args[1])
	if err != nil { panic(err) }
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	enc := json.NewEncoder(w)
	for _, path := range os.Args[2:] {
		b, _ := os.ReadFile(path)
		e, err := t.Encode(string(b), true)
		if err != nil { panic(err) }
		text, _ := t.Decode(e.IDs, false)
		if err := enc.Encode([]any{e.IDs, e.Offsets, text}); err != nil { panic(err) }
	}
}
'''
spec, root = sys.argv[1:]
reference = Tokenizer.from_file(spec)
paths, skipped = [], 0
for p in sorted(p for p in pathlib.Path(root).rglob("*.go") if p.is_file()):
    try:
        p.read_bytes().decode(); paths.append(p)
    except UnicodeDecodeError:
        skipped += 1
bad = size = tokens = 0
with tempfile.TemporaryDirectory(dir=".") as d:
    pathlib.Path(d, "main.go").write_text(GO)
    subprocess.run(["go", "build", "-o", f"{d}/encode", f"./{d.lstrip('./')}/main.go"] if not d.startswith("/") else ["go", "build", "-o", f"{d}/encode", f"{d}/main.go"], check=True)
    for k in range(0, len(paths), 500):
        part = paths[k:k + 500]
        lines = subprocess.run([f"{d}/encode" if d.startswith("/") else f"./{d}/encode", spec, *map(str, part)], check=True, capture_output=True).stdout.splitlines()
        for p, line in zip(part, lines, strict=True):
            text = p.read_bytes().decode()
            ids, spans, decoded = json.loads(line)
            e = reference.encode(text)
            at = [0]
            for c in text: at.append(at[-1] + len(c.encode()))
            same = (ids or []) == e.ids and [(s["Start"], s["End"]) for s in spans or []] == [(at[a], at[b]) for a, b in e.offsets] and decoded == reference.decode(e.ids, False)
            bad += not same
            size += len(text); tokens += len(e.ids)
            if not same: print("differs:", p)
print(f"{len(paths)} files, {size} characters, {tokens} tokens, {skipped} not UTF-8: {bad} differ")
