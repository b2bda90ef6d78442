"""Writes components.json and sentencepieces.json: small tokenizers with every
component in random combinations, and what the tokenizers and sentencepiece
packages make of some texts.
    python go/tokenizer/testdata/make_components.py"""
import base64, functools, json, os, pathlib, random, tempfile
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import Tokenizer
import components, texts
from differential import PANIC, ambiguous, attempt, show

HERE = pathlib.Path(__file__).parent
RULES = ["\u00e9\te", "\ufb01\tfi", "41\t61", "65 301\t45", "3000\t20", "2160\t49", "1F600\t3A 29", "200B\t", "9\t20", "A\t20", "A0\t20"]

def spm(**options):
    """A model of a few kilobytes, with rules of our own."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as f:
        for rule in RULES:
            a, b = rule.split("\t")
            a = f"{ord(a):X}" if len(a) == 1 and ord(a) > 127 else a
            b = " ".join(f"{ord(c):X}" for c in b) if b in ("e", "fi") else b
            a = " ".join(f"{ord(c):X}" for c in a) if a == "\ufb01" else a
            f.write(f"{a}\t{b}\n")
        f.flush()
        return components.spm(normalization_rule_tsv=f.name, **options)

plain = lambda s: "".join(c for c in s if " " <= c < "\u0100")
components.sentences = lambda r, n=400: [s for s in map(plain, r.sample(components.corpus(), n)) if s.strip()]

def charsmaps():
    m = pb.ModelProto()
    m.ParseFromString(spm(vocab_size=400, model_type="unigram"))
    return [base64.b64encode(m.normalizer_spec.precompiled_charsmap).decode()]

components.charsmaps = functools.cache(charsmaps)

def short(r): return texts.text(r)[:50]

def tokenizers():
    models = [m for m in components.trained() if m[2] < 800][:10]
    components.trained = lambda: models
    cases, seed = [], 0
    while len(cases) < 120:
        seed += 1
        r = random.Random(seed)
        spec, vocab, size = components.tokenizer(r)
        if seed % 3 == 0: spec["post_processor"] = components.post_processor(r, vocab)
        t = attempt(lambda: Tokenizer.from_str(json.dumps(spec)))
        if t in (None, PANIC) or ambiguous(spec, t): continue
        rows, decoded = [], []
        for pair in (False, False, True):
            given = [short(r) for _ in range(1 + pair)]
            e = attempt(lambda: t.encode(*given))
            if e not in (None, PANIC): rows.append([given, show(e, False) | {"overflow": [show(o, False) for o in e.overflowing[:3]]}])
        for _ in range(2):
            ids = [r.randrange(size) for _ in range(r.randrange(1, 12))]
            for skip in (False, True):
                text = attempt(lambda: t.decode(ids, skip_special_tokens=skip))
                if isinstance(text, str): decoded.append([ids, skip, text])
        if any(row[1]["ids"] for row in rows):
            cases.append({"model": models.index(next(m for m in models if m[0] is spec["model"])), "tokenizer": spec | {"model": None}, "rows": rows, "decoded": decoded})
    return {"models": [m[0] for m in models], "cases": cases}

def sentencepieces():
    cases = []
    for k, options in enumerate([dict(model_type="unigram", byte_fallback=True, user_defined_symbols=["<sep>", "the"]), dict(model_type="bpe", byte_fallback=True, split_digits=True, user_defined_symbols=["\u2581\u2581"]),
            dict(model_type="unigram", add_dummy_prefix=False, remove_extra_whitespaces=False), dict(model_type="bpe", remove_extra_whitespaces=False), dict(model_type="bpe", treat_whitespace_as_suffix=True)]):
        r = random.Random(k)
        model = spm(vocab_size=600, **options)
        sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        given = [short(r).replace("\0", "") for _ in range(40)]
        ids = [[r.randrange(sp.vocab_size()) for _ in range(r.randrange(1, 12))] for _ in range(10)]
        cases.append({"options": options, "model": base64.b64encode(model).decode(), "rows": [[t, sp.encode(t), sp.encode(t, out_type=str)] for t in given],
            "decoded": [[i, sp.decode(i)] for i in ids]})
    return cases

for name, data in (("components.json", tokenizers()), ("sentencepieces.json", sentencepieces())):
    with open(HERE / name, "w") as f:
        json.dump(data, f, ensure_ascii=True, separators=(",", ":"))
        f.write("\n")
