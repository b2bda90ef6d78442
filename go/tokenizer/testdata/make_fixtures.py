"""Writes fixtures.json: small tokenizers and what the Hugging Face tokenizers
package makes of every kind of text. Run: python make_fixtures.py (tokenizers 0.23)."""
import json, os
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from texts import LLAMA3, QWEN2

HERE = os.path.dirname(os.path.abspath(__file__))
TEXTS = [
    "", " ", "  ", "Hello, world!", " leading and trailing  ", "I'll say we'RE John'S 'tis don't",
    "tabs\t\tand\n\nnewlines \r\n  mixed\u00a0\u2003\u3000spaces\u2028end\u0085x", "1234567 89 \u0664\u0665 \u00b2\u2167 3.14e-10",
    "caf\u00e9 cafe\u0301 a\u0323\u0301 \u1e69 \ufb01 \u212b \uac00 \u1100\u1161",
    "\U0001F469\u200d\U0001F469\u200d\U0001F467 \U0001F1EF\U0001F1F5 \U0001F44D\U0001F3FD!", "\u0634\u0643\u0631\u0627 \u05e9\u05dc\u05d5\u05dd \u202eabc\u202c",
    "\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002 \ud55c\uad6d\uc5b4", "\x00\x01\x7f\x1b[0m\ufeff\ufffd", "a" * 300, "=" * 70 + "\n", " " * 65 + "x", "\n" * 9 + " y",
    "<s>hi</s> <|end|>x  <pad>  y <word> words<word> <word>", "func main() {\n\tfmt.Println(\"a\", b[0]) // ok\n}\n",
    "\u2581meta \u2581\u2581x", "<0x41><0xE2>", "'\u017f '\u017fx", "_a-b__c--d,,e", "\u0120\u010a \u00c4\u0142",
]
CORPUS = TEXTS + ["the quick brown fox jumps over the lazy dog. " * 4, "return err if err is not nil; the error, the text, the token " * 3] * 4

def byte_level(pattern, ignore_merges=False, normalizer=None, trim=False, prefix=False):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer: t.normalizer = normalizer
    last = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=pattern is None)
    t.pre_tokenizer = last if pattern is None else pre_tokenizers.Sequence([pattern, last])
    t.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>", AddedToken("<|end|>", special=True, normalized=False)]
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=340, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.add_tokens([AddedToken("<pad>", lstrip=True, rstrip=True, normalized=False), AddedToken("<word>", single_word=True, normalized=True)])
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=trim, add_prefix_space=prefix),
        processors.TemplateProcessing(single="<s> $A", pair="<s> $A </s>:1 $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 1)])])
    return t

def llama(legacy):
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for b in range(256): vocab[f"<0x{b:02X}>"] = len(vocab)
    for c in "\u2581abcdefghijklmnopqrstuvwxyzHI'.,()\u6771\u4eac": vocab[c] = len(vocab)
    merges = [("\u2581", "t"), ("h", "e"), ("\u2581t", "he"), ("l", "l"), ("e", "r"), ("\u2581", "w"), ("o", "r"), ("\u2581", "\u2581"), ("\u2581\u2581", "\u2581\u2581"), ("a", "a"), ("aa", "aa"), ("\u2581w", "or")]
    for a, b in merges: vocab.setdefault(a + b, len(vocab))
    t = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if legacy: t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    else: t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.add_special_tokens([AddedToken(x, normalized=False, special=True) for x in ("<unk>", "<s>", "</s>")])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t

def cut(behavior, invert=False):
    vocab = {c: i for i, c in enumerate(["<unk>", "a", "b", "c", "_", "-", "ab", "__", "e"])}
    t = Tokenizer(models.BPE(vocab, [("a", "b"), ("_", "_")], unk_token="<unk>", fuse_unk=True))
    t.pre_tokenizer = pre_tokenizers.Split(Regex("[_-]"), behavior, invert)
    return t

split = lambda p: pre_tokenizers.Split(Regex(p), "isolated")
CASES = {
    "gpt2": byte_level(None, trim=True), "gpt2-prefix": byte_level(None, trim=True, prefix=True),
    "llama3": byte_level(split(LLAMA3), ignore_merges=True), "qwen2": byte_level(split(QWEN2), normalizer=normalizers.NFC()),
    "smollm": byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), split(r" ?\p{L}+| ?[^\s\p{L}]+|\s+")])),
    "llama-legacy": llama(True), "llama-metaspace": llama(False),
}
for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
    CASES["split-" + behavior] = cut(behavior)
CASES["split-invert"] = cut("removed", True)

out = {"texts": TEXTS, "cases": []}
for name, t in CASES.items():
    rows = []
    for text in TEXTS:
        at = [0]
        for c in text: at.append(at[-1] + len(c.encode()))
        e = t.encode(text)
        rows.append([e.ids, [at[x] for o in e.offsets for x in o], t.decode(e.ids, False), t.decode(e.ids, True)])
    pair = t.encode("Hello the", "world er")
    out["cases"].append({"name": name, "tokenizer": json.loads(t.to_str()), "rows": rows, "pair": [pair.ids, pair.type_ids]})
with open(os.path.join(HERE, "fixtures.json"), "w") as f:
    json.dump(out, f, ensure_ascii=True, separators=(",", ":"))
    f.write("\n")
