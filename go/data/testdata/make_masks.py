"""Writes tokenizer.json and masks.json: records with the ids and the trained
flags that TRL's rules give, computed with transformers.

TRL (sft_trainer.py, tokenize_fn): a prompt and the prompt with its completion
are encoded apart, and the first len(prompt) tokens are masked; a conversational
prompt is rendered with the generation prompt; assistant_only_loss takes the
mask of apply_chat_template; EOS is appended to text and completions without it.

    python make_masks.py    # needs transformers, tokenizers, jinja2
"""

import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

here = pathlib.Path(__file__).parent
specials = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
corpus = [
    "the river runs down to the sea and the boat follows it",
    "user assistant system question answer translate the sentence",
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    "how many apples are left? There are three apples left, he said.",
] * 3

tok = Tokenizer(models.BPE())
tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tok.decoder = decoders.ByteLevel()
tok.train_from_iterator(corpus, trainers.BpeTrainer(
    vocab_size=420, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
tok.post_processor = processors.Sequence([
    processors.ByteLevel(trim_offsets=False),
    processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)]),
])
tok.save(str(here / "tokenizer.json"), pretty=False)
hf = PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<s>", eos_token="</s>")
hf.chat_template = (here / "../../chat/templates/chatml.jinja").read_text()


def ids(text):
    return hf(text, add_special_tokens=True)["input_ids"]


def closed(text):
    return text if text.endswith("</s>") else text + "</s>"


def rendered(messages, **options):
    return hf.apply_chat_template(messages, tokenize=True, return_dict=True, **options)


def after(prompt, whole):
    assert whole[: len(prompt)] == prompt
    return whole, [0] * len(prompt) + [1] * (len(whole) - len(prompt))


def rule(record):
    if "text" in record:
        whole = ids(closed(record["text"]))
        return whole, [1] * len(whole)
    if "messages" in record:
        out = rendered(record["messages"], return_assistant_tokens_mask=True)
        return out["input_ids"], out["assistant_masks"]
    if isinstance(record["prompt"], list):
        prompt = rendered(record["prompt"], add_generation_prompt=True)["input_ids"]
        return after(prompt, rendered(record["prompt"] + record["completion"])["input_ids"])
    return after(ids(record["prompt"]), ids(closed(record["prompt"] + record["completion"])))


def turn(role, content):
    return {"role": role, "content": content}


records = [
    {"text": "the river runs down"},
    {"text": "the boat</s>"},
    {"text": "naïve 😀 river\n\n  two  spaces "},
    {"prompt": "how many apples are left?", "completion": " three apples"},
    {"prompt": "", "completion": "the sea"},
    {"prompt": "Translate:\n", "completion": "été 日本</s>"},
    {"messages": [turn("user", "how many?"), turn("assistant", "three apples 😀")]},
    {"messages": [turn("system", "answer the question"), turn("user", "the river"), turn("assistant", " runs\n"),
                  turn("user", "and then?"), turn("assistant", "the sea é")]},
    {"messages": [turn("assistant", "the assistant speaks first"), turn("user", "so?")]},
    {"prompt": [turn("user", "the question")], "completion": [turn("assistant", "the answer")]},
    {"prompt": [turn("system", "s"), turn("user", "u")],
     "completion": [turn("assistant", "first"), turn("user", "again"), turn("assistant", "second")]},
]
with open(here / "masks.json", "w") as out:
    cases = []
    for record in records:
        whole, mask = rule(record)
        cases.append({"record": record, "ids": whole, "trained": mask})
    json.dump(cases, out, ensure_ascii=False)
    out.write("\n")
