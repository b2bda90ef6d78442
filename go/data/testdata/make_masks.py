"""Writes tokenizer.json and masks.json: records with the ids and labels that
TRL's SFTTrainer makes of them, by its own preparation of the data.

Conversations are those of go/chat/testdata/renders.in.json, with each built-in
template of graft and assistant_only_loss. For the families for which TRL has
training templates of its own ("theirs"), the tokenizer is given the template
that the family publishes, which TRL then replaces by its own: what graft
trains is to be the same.

    python make_masks.py    # needs trl, transformers, tokenizers, datasets, torch
"""

import json
import os
import pathlib
import tempfile

os.environ.update(CUDA_VISIBLE_DEVICES="", HF_HUB_OFFLINE="1")

import trl
from datasets import Dataset, IterableDataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, logging

logging.set_verbosity_error()
here = pathlib.Path(__file__).parent
given = json.loads((here / "../../chat/testdata/renders.in.json").read_text())
theirs = {"gemma": "gemma", "llama3": "llama3", "phi3": "phi3", "qwen2": "qwen2_5", "qwen3": "qwen3"}

specials = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|begin_of_text|>", "<|start_header_id|>",
            "<|end_header_id|>", "<|eot_id|>", "<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>",
            "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"]
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
    vocab_size=436, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
tok.post_processor = processors.Sequence([
    processors.ByteLevel(trim_offsets=False),
    processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)]),
])
tok.save(str(here / "tokenizer.json"), pretty=False)
model = LlamaForCausalLM(LlamaConfig(vocab_size=512, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                     num_attention_heads=1, num_key_value_heads=1))


def trainer(template, tokens, conversational):
    """A trainer with a tokenizer that has this chat template."""
    hf = PreTrainedTokenizerFast(tokenizer_object=tok, **tokens)
    hf.chat_template = template
    args = trl.SFTConfig(output_dir=tempfile.mkdtemp(), assistant_only_loss=conversational, max_length=None,
                         report_to=[], use_cpu=True, bf16=False, completion_only_loss=None if conversational else True)
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    first = {"messages": turns} if conversational else {"prompt": "a", "completion": "b"}
    return trl.SFTTrainer(model=model, args=args, processing_class=hf, train_dataset=Dataset.from_list([first]))


def prepared(t, record):
    """What the trainer makes of one record, which no table format has touched."""
    stream = IterableDataset.from_generator(lambda: iter([record]))
    out = next(iter(t._prepare_dataset(stream, t.processing_class, t.args, False, None, "train")))
    return {"ids": out["input_ids"], "labels": out["labels"]}


def turn(role, content):
    return {"role": role, "content": content}


plain = [
    {"text": "the river runs down"},
    {"text": "the boat</s>"},
    {"text": "naïve 😀 river\n\n  two  spaces "},
    {"prompt": "how many apples are left?", "completion": " three apples"},
    {"prompt": "", "completion": "the sea"},
    {"prompt": "Translate:\n", "completion": "été 日本</s>"},
    {"prompt": "the ri", "completion": "ver"},
    {"prompt": "answer: ", "completion": "three apples"},
    {"prompt": [turn("user", "the question")], "completion": [turn("assistant", "the answer")]},
    {"prompt": [turn("system", "s"), turn("user", "u")],
     "completion": [turn("assistant", "first"), turn("user", "again"), turn("assistant", "second")]},
]
ours = lambda name: (here / "../../chat/templates" / f"{name}.jinja").read_text()
cases = []
t = trainer(ours("chatml"), {"bos_token": "<s>", "eos_token": "</s>"}, False)
for record in plain:
    cases.append({"template": "chatml", "record": record, **prepared(t, record)})
packs = []
for name, tokens in sorted(given["tokens"].items()):
    published = (pathlib.Path(trl.__file__).parent / "chat_templates" / f"{theirs[name]}.jinja").read_text() if name in theirs else None
    for source in filter(None, (ours(name), published)):
        t = trainer(source, tokens, True)
        assert source != published or t.chat_template  # replaced by TRL's training template
        for title, record in given["conversations"].items():
            case = {"template": name, "theirs": source == published, "conversation": title}
            try:
                case.update(prepared(t, dict(record)))
            except Exception as e:
                case["fails"] = str(e).splitlines()[0][:80]
            cases.append(case)
with open(here / "masks.json", "w") as out:
    json.dump({"versions": {"trl": trl.__version__}, "cases": cases}, out, ensure_ascii=False, separators=(",", ":"))
    out.write("\n")
print(len(cases), "cases,", sum("fails" in c for c in cases), "fail")
