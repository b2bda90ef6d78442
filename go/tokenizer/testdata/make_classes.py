"""Writes ../classes.txt: which characters the Hugging Face tokenizers package
takes for letters, marks, punctuation and so on. It is built from crates that
follow several versions of Unicode, so the sets are found by asking it about
every character.
    python go/tokenizer/testdata/make_classes.py"""
import pathlib
from tokenizers import Regex, normalizers, pre_tokenizers

ALL = [c for c in map(chr, range(0x110000)) if not "\ud800" <= c <= "\udfff"]

def probe(f):
    return [ord(c) for c in ALL if f(c)]

def ranges(points):
    out = []
    for p in points:
        if out and p == out[-1][1] + 1: out[-1][1] = p
        else: out.append([p, p])
    return " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in out)

def bert(**on):
    flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False) | on
    return normalizers.BertNormalizer(**flags).normalize_str

def pieces(p, text): return [t for t, _ in p.pre_tokenize_str(text)]

def regex(r):
    p = pre_tokenizers.Split(Regex(r), "removed")
    return lambda c: not p.pre_tokenize_str(c)

clean, mn, strip = bert(clean_text=True), bert(strip_accents=True), normalizers.StripAccents().normalize_str
nfkd, lower = normalizers.NFKD().normalize_str, normalizers.Lowercase().normalize_str
nfd = normalizers.NFD().normalize_str
punctuation, digits = pre_tokenizers.Punctuation("removed"), pre_tokenizers.Digits(individual_digits=True)
word, scripts = pre_tokenizers.Whitespace(), pre_tokenizers.UnicodeScripts()
SETS = {
    # BertNormalizer: dropped by clean_text, dropped by strip_accents.
    "control": probe(lambda c: clean(c) == ""),
    "nonspacing": probe(lambda c: nfd(c) == c and mn(c) == ""),
    "mark": probe(lambda c: strip(c) == ""),
    "punctuation": probe(lambda c: not punctuation.pre_tokenize_str(c)),
    "number": probe(lambda c: len(digits.pre_tokenize_str("a" + c)) == 2),
    # \w of the regex crate: Whitespace and single_word.
    "word": probe(lambda c: pieces(word, "a" + c) == ["a" + c]),
    # \p{L}, \p{N}, \s of Oniguruma: the split patterns.
    "letter": probe(regex(r"\p{L}")), "numeral": probe(regex(r"\p{N}")), "space": probe(regex(r"\s")),
    # Characters without a script in UnicodeScripts.
    "unscripted": probe(lambda c: len(pieces(scripts, "a" + c)) == 1 and len(pieces(scripts, "я" + c)) == 1),
    # Characters that normal forms decompose or reorder.
    "normal": probe(lambda c: nfkd(c) != c or nfd("\u0345" + c) != "\u0345" + c or c == "\u0345"),
}
with open(pathlib.Path(__file__).parent.parent / "classes.txt", "w") as f:
    for name, points in SETS.items():
        f.write(f"{name} {ranges(points)}\n")
        print(name, len(points))
    # Lower case beyond what Python knows.
    f.write("lower " + " ".join(f"{ord(c):x}:{ord(lower(c)):x}" for c in ALL if lower(c) != c.lower()) + "\n")
