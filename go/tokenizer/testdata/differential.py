"""Compares graft with the Hugging Face tokenizers package on random tokenizers
and texts: ids, tokens, offsets, type ids, overflow, decoded and streamed text.
Run from the repository root; ends with status 1 if anything differs:
    python go/tokenizer/testdata/differential.py [tokenizers] [first seed]"""
import collections, json, os, random, subprocess, sys, tempfile
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream
import components, texts

class Answers:
    """The program that answers with graft."""
    def __init__(self, directory):
        path = os.path.join(directory, "answer")
        subprocess.run(["go", "build", "-o", path, "./go/tokenizer/testdata/answer"], check=True)
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    def ask(self, question):
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

def ambiguous(spec, t):
    """Whether added tokens become equal or empty when normalized: which of them
    the reference finds then changes from run to run."""
    names = [attempt(lambda: t.normalizer.normalize_str(a["content"])) if t.normalizer else a["content"] for a in spec["added_tokens"] if a["normalized"]]
    return len(set(names)) < len(names) or "" in names

def show(e, overflow=True):
    out = {"ids": e.ids, "tokens": e.tokens, "offsets": [list(o) for o in e.offsets], "type_ids": e.type_ids}
    if overflow: out["overflow"] = [show(o, False) for o in e.overflowing]
    return out

PANIC = object()

def attempt(f):
    """The result, or None where the reference fails, or PANIC."""
    try: return f()
    except Exception: return None
    except KeyboardInterrupt: raise
    except BaseException: return PANIC

def stream(t, ids):
    s, text = DecodeStream(skip_special_tokens=False), ""
    for i in ids: text += s.step(t, i) or ""
    return text

def to_bytes(text, spans):
    at = [0]
    for c in text: at.append(at[-1] + len(c.encode()))
    return [[at[min(x, len(at) - 1)] for x in s] for s in spans]

def compare(report, spec, t, got, question, unknown=lambda text: False):
    if got.get("error"):
        report("load", spec, None, got["error"], "loads")
        return
    for texts_, a in zip(question["texts"], got["encodings"], strict=True):
        e = attempt(lambda: t.encode(*texts_, add_special_tokens=not question["plain"]))
        if e is PANIC:
            report.panics += 1
            continue
        if e is None or a.get("error"):
            report("encode fails", spec, texts_, a.get("error"), "fails" if e is None else "encodes", equal=e is None and bool(a.get("error")))
            continue
        want = show(e)
        for o in a["overflow"] or []: o.pop("overflow"), o.pop("bytes")
        for key in want:
            report(key, spec, texts_, a[key] or [], want[key], equal=(a[key] or []) == want[key])
        if len(texts_) == 1 and a["offsets"] == want["offsets"] and all(x <= y for x, y in want["offsets"]):
            report("bytes", spec, texts_, a["bytes"], to_bytes(texts_[0], want["offsets"]), equal=a["bytes"] == to_bytes(texts_[0], want["offsets"]))
    for ids, (plain, clean), streamed in zip(question["ids"], got["decoded"], got["streamed"], strict=True):
        for text, skip in ((plain, False), (clean, True)):
            want = attempt(lambda: t.decode(ids, skip_special_tokens=skip))
            if want is PANIC: report.panics += 1
            else: report("decode", spec, ids, text, want, equal=text == want)
        streamable = attempt(lambda: stream(t, ids))
        if isinstance(streamable, str) and plain.startswith(streamable):
            report("stream", spec, ids, streamed, plain, equal=streamed == plain)

class Report:
    def __init__(self):
        self.counts, self.different, self.shown, self.panics = collections.Counter(), collections.Counter(), 0, 0
    def __call__(self, what, spec, text, got, want, equal=False):
        self.counts[what] += 1
        if equal: return
        self.different[what] += 1
        last, self.last = getattr(self, "last", None), spec
        if spec is not last and self.shown < int(os.environ.get("SHOW", "5")):
            self.shown += 1
            brief = {k: v for k, v in spec.items() if k != "model" and v} | {"model": {k: v for k, v in spec.get("model", {}).items() if k not in ("vocab", "merges")}}
            if isinstance(got, list) and isinstance(want, list): # from the first difference on
                at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
                got, want = (f"[{at}:] {x[at:at + 5]}" for x in (got, want))
            for c in str(brief), text, got, want: print("  ", str(c)[:600])
            print(f"^ {what}\n", flush=True)
    def finish(self):
        print("compared", dict(self.counts), "the reference panicked", self.panics)
        print("different", dict(self.different) or 0)
        sys.exit(1 if self.different else 0)

def main():
    n, seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1000, int(sys.argv[2]) if len(sys.argv) > 2 else 0
    report, refused = Report(), collections.Counter()
    with tempfile.TemporaryDirectory() as directory:
        answers = Answers(directory)
        for k in range(seed, seed + n):
            r = random.Random(k)
            spec, vocab, size = components.tokenizer(r)
            t = attempt(lambda: Tokenizer.from_str(json.dumps(spec)))
            asked = {"tokenizer": json.dumps(spec), "settings": True, "plain": r.random() < 0.2,
                "texts": [[texts.text(r)] for _ in range(12)] + [[texts.text(r), texts.text(r)] for _ in range(4)],
                "ids": [[r.randrange(size + 6) for _ in range(r.randrange(30))] for _ in range(6)]}
            if t not in (None, PANIC) and ambiguous(spec, t):
                refused["ambiguous in the reference"] += 1
                continue
            got = answers.ask(asked)
            if t in (None, PANIC):
                refused["by both" if got.get("error") else "by the reference alone"] += 1
                continue
            if got.get("error"): # what only graft refuses is named
                refused[got["error"].split(":")[0] + ": …" + got["error"][-60:]] += 1
                continue
            compare(report, spec, t, got, asked)
    print("tokenizers", n, "refused", dict(refused))
    report.finish()

if __name__ == "__main__": main()
