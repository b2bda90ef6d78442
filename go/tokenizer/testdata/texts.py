"""Texts to try tokenizers on: every kind of Unicode, source code, noise."""
import pathlib, random, subprocess, unicodedata

# Split patterns of published tokenizers.
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")

FIXED = [
    "", " ", "  ", "a", "\n", "\t\n ", "Hello, world!", "Hello   world\u00a0!\r\n\r\n  x", " leading and trailing ",
    "I'll don't we've they're it's I'm he'd 'S 'LL \u017f", "it ' s a do not n't 've", "x=1234567890; y=3.14159e-10, \u0661\u0662\u0663 \u00bd \u2167 \u2460 \u00b2",
    "caf\u00e9 cafe\u0301 \u00c5 A\u030a \ufb01 \u1e9b\u0323 \u0130stanbul \u0344 \u0f73 a\u0315\u0300\u05ae\u0300b \u1100\u1161\u11a8 \uac01 \ud55c\uae00",
    "\u6771\u4eac\u90fd \u3053\u3093\u306b\u3061\u306f \u30ab\u30bf\u30ab\u30ca\u30fc \uff76\uff9e \u4e2d\u6587\u3002\uff01 \U00020000\U0002a6d6\U0002f800 \u3400",
    "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u0645\u0631\u062d\u0628\u0627\u064b \u200f\u202eabc\u202c \ufdfa \ufefc",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7 \U0001f44d\U0001f3fd \u2764\ufe0f \U0001f3f4\U000e0067\U000e0062\U000e007f",
    "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0939\u093f\u0928\u094d\u0926\u0940 \u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u1019\u103c\u1014\u103a\u1019\u102c \u178f\u17d2\u179a",
    "\x00\x01\x07\x1b[0m\x7f\x80\x85\x9f\xad\u200b\u200c\u200d\u2028\u2029\ufeff\ufffd\ufffe\U0010ffff\ue000",
    "\u2581\u2581under \u2581 line ##hash </w> <unk> [UNK] <s> </s> [MASK] <0x41> \u0120\u010a",
    "a" * 300, " " * 200, "ab " * 90, "\u00e9" * 150, "\U0001f600" * 60, "=" * 77 + "\n" + "-" * 33, "\t" * 9 + "x" + "\n" * 9,
]

ASSIGNED = [chr(c) for c in range(0x110000) if not 0xd800 <= c <= 0xdfff and unicodedata.category(chr(c)) != "Cn"]
MARKS = [c for c in ASSIGNED if unicodedata.category(c)[0] == "M"]
NOT_CJK = [c for c in ASSIGNED if not ("\u3400" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3" or c >= "\U00013000" and c < "\U0001f000" or "\ue000" <= c <= "\uf8ff" or c >= "\U00020000")]
SPACES = " \t\n\r\x0b\x0c\x85\xa0\u1680\u2003\u2028\u2029\u202f\u205f\u3000"
BLOCKS = [(0x20, 0x7f), (0xa0, 0x250), (0x370, 0x530), (0x590, 0x6ff), (0x900, 0x980), (0x0e00, 0x0f00), (0x1100, 0x1200), (0x1e00, 0x2000),
          (0x2000, 0x2100), (0x2100, 0x2c00), (0x3000, 0x3100), (0x4e00, 0x5000), (0xac00, 0xad00), (0xf900, 0xfb07), (0xfb1d, 0xfe00), (0xfe00, 0xffff), (0x1f300, 0x1f700)]
WORDS = "the of and to in is you that it he was for on are as with his they I at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part".split()

def source():
    """Paths of the Go files of the standard library."""
    root = pathlib.Path(subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip()) / "src"
    return sorted(p for p in root.rglob("*.go") if p.is_file())

CODE = []

def snippet(r):
    if not CODE:
        for p in random.Random(0).sample(source(), 300):
            try: CODE.append(p.read_bytes().decode())
            except UnicodeDecodeError: pass
    text = r.choice(CODE)
    at = r.randrange(max(1, len(text) - 400))
    return text[at:at + r.randrange(20, 400)]

def piece(r):
    k = r.randrange(12)
    if k < 3: return " ".join(r.choice(WORDS) for _ in range(r.randrange(1, 8)))
    if k == 3: return "".join(r.choice(NOT_CJK) for _ in range(r.randrange(1, 12)))
    if k == 4: return "".join(r.choice(ASSIGNED) for _ in range(r.randrange(1, 8)))
    if k == 5:
        a, b = r.choice(BLOCKS)
        return "".join(chr(r.randrange(a, b)) for _ in range(r.randrange(1, 20)))
    if k == 6: return "".join(r.choice("aeioun\u0130\u1100AE\u00e9\u0915") + "".join(r.choice(MARKS) for _ in range(r.randrange(4))) for _ in range(r.randrange(1, 6)))
    if k == 7: return "".join(r.choice(SPACES) for _ in range(r.randrange(1, 6)))
    if k == 8: return "".join(r.choice("0123456789.,:;!?'\"()[]{}<>-_=+*/\\|@#$%^&~`") for _ in range(r.randrange(1, 14)))
    if k == 9: return snippet(r)[:r.randrange(1, 80)]
    if k == 10: return r.choice(FIXED)[:60]
    return bytes(r.randrange(256) for _ in range(r.randrange(1, 24))).decode("utf-8", "replace")

def text(r):
    if r.random() < 0.15: return r.choice(FIXED)
    if r.random() < 0.15: return snippet(r)
    return "".join(piece(r) + r.choice(["", " ", ""]) for _ in range(r.randrange(1, 7)))
