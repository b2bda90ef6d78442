"""Compares graft with the sentencepiece package on models that it trains with
random options, unigram and BPE: ids, pieces, decoded text. Run from the
repository root; ends with status 1 if anything differs:
    python go/tokenizer/testdata/sentencepieces.py [models] [first seed]"""
import os, random, sys, tempfile
import sentencepiece
import components, texts
from differential import Answers, Report

def options(r):
    flag = lambda: r.random() < 0.5
    o = dict(model_type=r.choice(["unigram", "bpe"]), vocab_size=r.choice([1600, 2000, 2600]), character_coverage=r.choice([0.98, 0.99]),
        normalization_rule_name=r.choice(["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"]), byte_fallback=flag(), split_digits=flag(),
        add_dummy_prefix=r.random() < 0.7, remove_extra_whitespaces=flag(), treat_whitespace_as_suffix=r.random() < 0.2, split_by_whitespace=r.random() < 0.8,
        split_by_unicode_script=flag(), allow_whitespace_only_pieces=flag(), user_defined_symbols=r.sample(["<mask>", "<sep>", "the", "\u2581\u2581", "\U0001f600", "é"], r.randrange(4)))
    return o

def main():
    n, seed = int(sys.argv[1]) if len(sys.argv) > 1 else 20, int(sys.argv[2]) if len(sys.argv) > 2 else 0
    report = Report()
    with tempfile.TemporaryDirectory() as directory:
        answers = Answers(directory)
        for k in range(seed, seed + n):
            r = random.Random(k)
            spec = options(r)
            path = os.path.join(directory, "tokenizer.model")
            with open(path, "wb") as f: f.write(components.spm(**spec))
            sp = sentencepiece.SentencePieceProcessor(model_file=path)
            asked = {"model": path, "texts": [[texts.text(r).replace("\0", "")] for _ in range(300)],
                "ids": [[r.randrange(sp.vocab_size()) for _ in range(r.randrange(30))] for _ in range(100)]}
            got = answers.ask(asked)
            if got.get("error"): report("load", spec, None, got["error"], "loads"); continue
            for (text,), a in zip(asked["texts"], got["encodings"], strict=True):
                ids = sp.encode(text)
                report("ids", spec, text, a["ids"] or [], ids, equal=(a["ids"] or []) == ids)
                report("pieces", spec, text, a["tokens"] or [], sp.encode(text, out_type=str), equal=(a["tokens"] or []) == sp.encode(text, out_type=str))
            for ids, (plain, clean), streamed in zip(asked["ids"], got["decoded"], got["streamed"], strict=True):
                report("decode", spec, ids, clean, sp.decode(ids), equal=clean == sp.decode(ids))
    report.finish()

if __name__ == "__main__": main()
