"""Writes answers.json: what transformers' generate answers with the tiny models
of model_test.go, in float64. The configurations are read from there, and the
weights are the same function of a tensor's name and an element's place.

    python make_answers.py
"""
import json, pathlib, re
import numpy as np, torch, transformers

here = pathlib.Path(__file__).parent
VOCAB, NEW = 61, 16
PROMPTS = [[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4], [27], [18, 28, 18, 28, 45, 9, 4, 52], [60, 0, 31]]


def philox(counter, key):
    """Word 0 of Philox4x32-10 for an array of first counter words."""
    m = np.uint64(0xFFFFFFFF)
    c = [counter.astype(np.uint64)] + [np.zeros(len(counter), np.uint64)] * 3
    k = list(key)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        s = np.uint64(32)
        c = [(b >> s) ^ c[1] ^ np.uint64(k[0]), b & m, (a >> s) ^ c[3] ^ np.uint64(k[1]), a & m]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c[0]


def weight(name, shape):
    key = 1
    for r in name:
        key = (key * 31 + ord(r)) & 0xFFFFFFFF
    v = philox(np.arange(int(np.prod(shape))), [key, 2]).astype(np.float32) / np.float32(2**31) - np.float32(1)
    if "norm" in name:
        v = np.float32(1) + np.float32(0.3) * v
    elif len(shape) == 2 and name != "model.embed_tokens.weight":
        v = v * (np.float32(3) / np.float32(np.sqrt(shape[1])))
    return torch.from_numpy(v.reshape(shape)).double()


source = (here.parent / "model_test.go").read_text()
answers = {}
for family, text in re.findall(r'"(\w+)": `(\{.*?\})`', source, re.S):
    config = json.loads(text % VOCAB)
    c = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
    c._attn_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(c).double().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(weight(name, tuple(p.shape)))
    answers[family] = {}
    for label, penalty in (("greedy", 1.0), ("penalised", 1.3)):
        answers[family][label] = [
            model.generate(
                torch.tensor([p]), attention_mask=torch.ones(1, len(p), dtype=torch.long), do_sample=False,
                max_new_tokens=NEW, repetition_penalty=penalty, eos_token_id=None, pad_token_id=0,
            )[0, len(p):].tolist()
            for p in PROMPTS
        ]
(here / "answers.json").write_text(json.dumps(answers) + "\n")
