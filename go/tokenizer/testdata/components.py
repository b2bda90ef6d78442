"""Random tokenizers: trained models of every type, and every component."""
import base64, functools, io, json, random
import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
import texts

@functools.cache
def corpus():
    r = random.Random(5)
    return [texts.text(r) for _ in range(700)] + [texts.snippet(r) for _ in range(300)] + texts.FIXED

def sentences(r, n=400):
    return [s.replace("\n", " ").replace("\0", "") for s in r.sample(corpus(), n) if s.strip()]

def spm(**options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences(random.Random(1))), model_writer=out, minloglevel=2,
        hard_vocab_limit=False, max_sentence_length=100000, **({"character_coverage": 0.98} | options))
    return out.getvalue()

@functools.cache
def charsmaps():
    out = []
    for rule in ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf"):
        m = pb.ModelProto()
        m.ParseFromString(spm(vocab_size=1000, model_type="unigram", normalization_rule_name=rule))
        out.append(base64.b64encode(m.normalizer_spec.precompiled_charsmap).decode())
    return out

def pick(r, *options): return r.choice(options)

def flag(r): return r.random() < 0.5

PATTERNS = [r"\s+", r"\w+", r"[^\w\s]", r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", r"\d", r"[aeiou]", r"(?i)the|and", r"\p{Lu}", r"^.", r".$", r"a*",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"]

def pattern(r, empty=True):
    if r.random() < 0.4: return {"String": r.choice([" ", "a", "the", "\u2581", "ll", "."] + ([""] if empty else []))}
    return {"Regex": r.choice([p for p in PATTERNS if empty or p != "a*"])}

def sequence(r, make, key, depth):
    return {"type": "Sequence", key: [make(r, depth + 1) for _ in range(r.randrange(4))]}

def normalizer(r, depth=0):
    kind = r.choice("NFC NFD NFKC NFKD Lowercase Strip StripAccents Replace Prepend Precompiled BertNormalizer Nmt ByteLevel Sequence Sequence".split()[:13 if depth > 1 else 15])
    if kind == "Sequence": return sequence(r, normalizer, "normalizers", depth)
    out = {"type": kind}
    if kind == "Strip": out |= {"strip_left": flag(r), "strip_right": flag(r)}
    if kind == "Replace": out |= {"pattern": pattern(r, False), "content": pick(r, "", " ", "\u2581", "xy", "\u00e9")}
    if kind == "Prepend": out["prepend"] = pick(r, "\u2581", " ", "ab")
    if kind == "Precompiled": out["precompiled_charsmap"] = r.choice(charsmaps())
    if kind == "BertNormalizer":
        out |= {"clean_text": flag(r), "handle_chinese_chars": flag(r), "strip_accents": pick(r, None, True, False), "lowercase": flag(r)}
    return out

BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]

def metaspace(r):
    return {"type": "Metaspace", "replacement": pick(r, "\u2581", "\u2581", "_"), "prepend_scheme": pick(r, "always", "first", "never"), "split": flag(r)}

def byte_level(r):
    return {"type": "ByteLevel", "add_prefix_space": flag(r), "trim_offsets": flag(r), "use_regex": flag(r)}

def pre_tokenizer(r, depth=0):
    kind = r.choice("Split Split ByteLevel ByteLevel Metaspace Digits Punctuation Whitespace WhitespaceSplit CharDelimiterSplit BertPreTokenizer UnicodeScripts FixedLength Sequence Sequence".split()[:13 if depth > 1 else 15])
    if kind == "Sequence": return sequence(r, pre_tokenizer, "pretokenizers", depth)
    if kind == "Metaspace": return metaspace(r)
    if kind == "ByteLevel": return byte_level(r)
    out = {"type": kind}
    if kind == "Split": out |= {"pattern": pattern(r), "behavior": r.choice(BEHAVIORS), "invert": flag(r)}
    if kind == "Digits": out["individual_digits"] = flag(r)
    if kind == "Punctuation": out["behavior"] = r.choice(BEHAVIORS)
    if kind == "CharDelimiterSplit": out["delimiter"] = pick(r, " ", "a", "\u00e9")
    if kind == "FixedLength": out["length"] = r.randrange(1, 9)
    return out

def template(r, pair, names):
    out = [{"Sequence": {"id": "A", "type_id": r.randrange(2)}}] + ([{"Sequence": {"id": "B", "type_id": r.randrange(3)}}] if pair else [])
    for _ in range(r.randrange(4)):
        out.insert(r.randrange(len(out) + 1), {"SpecialToken": {"id": r.choice(names), "type_id": r.randrange(2)}})
    return out

def post_processor(r, vocab, depth=0):
    names = sorted(r.sample(sorted(vocab), min(3, len(vocab))))
    kind = r.choice("BertProcessing RobertaProcessing ByteLevel TemplateProcessing Sequence".split()[:4 if depth else 5])
    if kind == "Sequence":
        adder = r.choice("BertProcessing RobertaProcessing TemplateProcessing ByteLevel".split())
        steps = [byte_level(r), post_processor(r, vocab, 1)]
        r.shuffle(steps)
        return {"type": "Sequence", "processors": steps[:r.randrange(3)]}
    if kind == "ByteLevel": return byte_level(r)
    if kind == "TemplateProcessing":
        return {"type": kind, "single": template(r, False, names), "pair": template(r, True, names),
            "special_tokens": {n: {"id": n, "ids": [vocab[n]] * (1 + (n == names[0])), "tokens": [n] * (1 + (n == names[0]))} for n in names}}
    out = {"type": kind, "sep": [names[0], vocab[names[0]]], "cls": [names[-1], vocab[names[-1]]]}
    if kind == "RobertaProcessing": out |= {"trim_offsets": flag(r), "add_prefix_space": flag(r)}
    return out

def decoder(r, depth=0):
    kind = r.choice("ByteLevel WordPiece Metaspace BPEDecoder ByteFallback Fuse Strip Replace CTC Sequence Sequence".split()[:9 if depth > 1 else 11])
    if kind == "Sequence": return sequence(r, decoder, "decoders", depth)
    if kind == "Metaspace": return metaspace(r)
    if kind == "ByteLevel": return byte_level(r)
    out = {"type": kind}
    if kind == "WordPiece": out |= {"prefix": pick(r, "##", "", "a"), "cleanup": flag(r)}
    if kind == "BPEDecoder": out["suffix"] = pick(r, "</w>", "a")
    if kind == "Strip": out |= {"content": pick(r, " ", "a", "\u2581"), "start": r.randrange(3), "stop": r.randrange(2)}
    if kind == "Replace": out |= {"pattern": pattern(r), "content": pick(r, "", " ", "x")}
    if kind == "CTC": out |= {"pad_token": pick(r, "<pad>", "a"), "word_delimiter_token": pick(r, "|", " "), "cleanup": flag(r)}
    return out

def added_tokens(r, vocab, size):
    out, seen = [], set()
    contents = ["<s>", "</s>", "<pad>", "<mask>", "[MASK]", "<|end|>", "the", "a b", " x", "\u00e9", "caf\u00e9", "\u2581t", "Hello", "\U0001f600", "ing", "  "] + r.sample(sorted(vocab), min(4, len(vocab)))
    for content in r.sample(contents, r.randrange(8)):
        if not content or content in seen: continue
        seen.add(content)
        if content in vocab: at = vocab[content]
        else: at, size = size, size + 1
        out.append({"id": at, "content": content, "single_word": r.random() < 0.3, "lstrip": r.random() < 0.3, "rstrip": r.random() < 0.3, "normalized": flag(r), "special": flag(r)})
    return sorted(out, key=lambda a: a["id"])

@functools.cache
def trained():
    """Models as JSON, each with the vocabulary as a dictionary."""
    out, r = [], random.Random(3)
    def train(model, trainer, pre=None, norm=None, edit=lambda m: None):
        t = Tokenizer(model)
        if pre: t.pre_tokenizer = pre
        if norm: t.normalizer = norm
        few = isinstance(trainer, trainers.UnigramTrainer) # it wants room for every character
        t.train_from_iterator(["".join(c for c in s if c < "\u0180" or c == "\u2581") for s in sentences(r)] if few else sentences(r), trainer)
        m = json.loads(t.to_str())["model"]
        edit(m)
        vocab = m["vocab"] if isinstance(m["vocab"], dict) else {p[0]: i for i, p in enumerate(m["vocab"])}
        out.append((m, vocab, len(m["vocab"])))
    pre = [pre_tokenizers.Whitespace(), pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Metaspace(), pre_tokenizers.ByteLevel(), None]
    def fallback(m):
        m["byte_fallback"] = True
        for b in range(256): m["vocab"].setdefault(f"<0x{b:02X}>", len(m["vocab"]))
    for i, size in enumerate((150, 400, 900, 2000)):
        byte = pre_tokenizers.ByteLevel(add_prefix_space=False)
        train(models.BPE(), trainers.BpeTrainer(vocab_size=size + 200, initial_alphabet=byte.alphabet(), show_progress=False), byte,
              edit=lambda m: m.update(ignore_merges=i % 2 == 1))
        train(models.BPE(unk_token="<unk>", fuse_unk=i % 2 == 0), trainers.BpeTrainer(vocab_size=size, limit_alphabet=80, special_tokens=["<unk>", "<s>"], show_progress=False), pre[i])
        train(models.BPE(unk_token="<unk>", fuse_unk=i % 2 == 1), trainers.BpeTrainer(vocab_size=size, limit_alphabet=60, special_tokens=["<unk>"], show_progress=False), pre[(i + 2) % 4], edit=fallback)
        affixes = {"continuing_subword_prefix": "##"} | ({"end_of_word_suffix": "</w>"} if i % 2 else {})
        train(models.BPE(unk_token="<unk>", **affixes), trainers.BpeTrainer(vocab_size=size, limit_alphabet=70, special_tokens=["<unk>"], show_progress=False, **affixes), pre[0])
        train(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=pick(r, 100, 10)), trainers.WordPieceTrainer(vocab_size=size, limit_alphabet=120, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False), pre[1],
              normalizers.BertNormalizer())
        train(models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=size, special_tokens=["[UNK]"], show_progress=False), pre[i])
        train(models.Unigram(), trainers.UnigramTrainer(vocab_size=size + 400, special_tokens=["<unk>", "<s>"], unk_token="<unk>", show_progress=False), pre[2], pick(r, None, normalizers.NFKC()))
        def bytes_too(m):
            m["byte_fallback"] = True
            m["vocab"] += [[f"<0x{b:02X}>", -20.0] for b in range(256)]
        train(models.Unigram(), trainers.UnigramTrainer(vocab_size=size + 400, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False), pre[(i + 3) % 5], edit=bytes_too if i % 2 else lambda m: None)
    return out

def settings(r):
    t = p = None
    if flag(r): t = {"direction": pick(r, "Left", "Right"), "max_length": r.randrange(4, 30), "strategy": pick(r, "LongestFirst", "LongestFirst", "OnlyFirst", "OnlySecond"), "stride": r.randrange(3)}
    if flag(r): p = {"strategy": pick(r, "BatchLongest", {"Fixed": r.randrange(40)}), "direction": pick(r, "Left", "Right"), "pad_to_multiple_of": pick(r, None, 8), "pad_id": 1, "pad_type_id": r.randrange(2), "pad_token": "[PAD]"}
    return t, p

def tokenizer(r):
    """One random tokenizer.json, its vocabulary and the number of ids."""
    model, vocab, size = r.choice(trained())
    truncation, padding = settings(r) if r.random() < 0.3 else (None, None)
    maybe = lambda make, p: make(r) if r.random() < p else None
    return {"version": "1.0", "truncation": truncation, "padding": padding, "added_tokens": added_tokens(r, vocab, size),
        "normalizer": maybe(normalizer, 0.7), "pre_tokenizer": maybe(pre_tokenizer, 0.85), "post_processor": maybe(lambda r: post_processor(r, vocab), 0.6),
        "decoder": maybe(decoder, 0.8), "model": model}, vocab, size
