"""Compares graft with the Hugging Face tokenizers package on every file below a
directory and on random bytes: ids, tokens, offsets in characters and in bytes,
decoded and streamed text. The tokenizers are trained here, one of each kind that
models use. Run from the repository root; ends with status 1 if anything differs:
    python go/tokenizer/testdata/goroot.py $(go env GOROOT)/src [name or tokenizer.json ...]
--part 1/4 takes every fourth file, for a run in pieces."""
import argparse, array, hashlib, itertools, json, os, pathlib, random, tempfile, time
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from differential import Answers, Report
from texts import LLAMA3, QWEN2

SIZE = 8192

def byte_level(pattern=None, normalizer=None, ignore_merges=False, digits=False):
    def make(corpus):
        t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
        if normalizer: t.normalizer = normalizer
        parts = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
        if pattern: parts.append(pre_tokenizers.Split(Regex(pattern), "isolated"))
        t.pre_tokenizer = pre_tokenizers.Sequence(parts + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)])
        t.decoder = decoders.ByteLevel()
        t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=SIZE, special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
        t.post_processor = processors.ByteLevel(trim_offsets=False)
        return t
    return make

def byte_fallback(corpus, legacy=False):
    """As Llama 2: characters of the corpus, bytes for all others."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=True)
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=SIZE, limit_alphabet=300, special_tokens=special, show_progress=False))
    spec = json.loads(t.to_str())
    spec["added_tokens"] = [a for a in spec["added_tokens"] if a["id"] < 3] # bytes are ordinary tokens
    t = Tokenizer.from_str(json.dumps(spec))
    if legacy:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
        t.pre_tokenizer = None
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t

def unigram(corpus):
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer, t.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    t.train_from_iterator(corpus, trainers.UnigramTrainer(vocab_size=SIZE, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False))
    return t

def word_piece(corpus):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer, t.decoder = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    t.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]"], show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t

KINDS = {
    "gpt2": byte_level(), "llama3": byte_level(LLAMA3, ignore_merges=True), "qwen2": byte_level(QWEN2, normalizers.NFC()),
    "smollm": byte_level(digits=True), "llama2": byte_fallback, "llama2-legacy": lambda corpus: byte_fallback(corpus, legacy=True),
    "unigram": unigram, "wordpiece": word_piece,
}

def noise():
    """Random bytes, read as UTF-8 with what is not replaced, and as Latin-1."""
    r = random.Random(1)
    for n in [1, 7, 100, 1000, 10_000] * 8:
        b = r.randbytes(n)
        yield "random bytes", b.decode("utf-8", "replace")
        yield "random Latin-1", b.decode("latin-1")
        yield "random characters", "".join(chr(c) for c in (r.randrange(0x110000) for _ in range(n // 4)) if not 0xd800 <= c < 0xe000)

def texts(root):
    for p in sorted(p for p in pathlib.Path(root).rglob("*") if p.is_file()):
        yield str(p), p.read_bytes().decode("utf-8", "replace")

def digest(b): return hashlib.sha256(b).hexdigest()
def numbers(v): return digest(array.array("i", v).tobytes())

def to_bytes(text, spans):
    """Offsets of characters as those of bytes."""
    at = [0, *itertools.accumulate(1 + (c > 0x7f) + (c > 0x7ff) + (c > 0xffff) for c in map(ord, text))]
    return [at[min(x, len(text))] for x in spans]

WHAT = "ids", "tokens", "offsets", "byte offsets", "decoded", "decoded without special tokens", "streamed"

def want(t, text):
    e = t.encode(text)
    spans = array.array("i", itertools.chain.from_iterable(e.offsets))
    plain = t.decode(e.ids, skip_special_tokens=False)
    return e.ids, (numbers(e.ids), digest("\0".join(e.tokens).encode()), numbers(spans), numbers(spans if text.isascii() else to_bytes(text, spans)),
        digest(plain.encode()), digest(t.decode(e.ids).encode()), digest(plain.encode()))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("root")
    p.add_argument("kinds", nargs="*", default=list(KINDS), help=", ".join(KINDS) + ", or the path of a tokenizer.json; all")
    p.add_argument("--part", default="1/1")
    o = p.parse_args()
    root, (part, parts) = o.root, map(int, o.part.split("/"))
    corpus = [text for path, text in texts(os.path.join(root, "net")) if path.endswith(".go")] + ["\u6771\u4eac caf\u00e9 \u0434\u0430 \u05e9\u05dc\u05d5\u05dd \U0001f600"] * 20
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        answers = Answers(directory)
        for name in o.kinds:
            t = KINDS[name](corpus) if name in KINDS else Tokenizer.from_file(name)
            path, size, files, tokens = os.path.join(directory, "tokenizer.json"), 0, 0, 0
            t.save(path)
            t = Tokenizer.from_file(path) # scores are rounded when they are read
            start = time.process_time()
            for at, text in itertools.islice(itertools.chain(noise(), texts(root)), part - 1, None, parts):
                ids, wanted = want(t, text)
                got = answers.ask({"file": path, "texts": [[text]], "digest": True})
                size, files, tokens = size + len(text.encode()), files + 1, tokens + len(ids)
                for what, a, b in zip(WHAT, got["digests"][0], wanted, strict=True):
                    report(what, {"tokenizer": name}, at, a, b, equal=a == b)
            print(f"{name}: {files} texts, {size / 1e6:.1f} MB, {tokens} tokens, {time.process_time() - start:.0f} s of the reference, different so far {sum(report.different.values())}", flush=True)
    report.finish()

if __name__ == "__main__": main()
