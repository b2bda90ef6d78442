"""The tokenizers package on the Go files of net and go: trains a byte-level BPE
of 8192 and encodes, in one thread. Prints megabytes per second of processor
time: train, encode."""
import os
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import pathlib, subprocess, time
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

root = pathlib.Path(subprocess.run(["go", "env", "GOROOT"], check=True, capture_output=True, text=True).stdout.strip()) / "src"
texts = [p.read_text() for d in ("net", "go") for p in sorted((root / d).rglob("*.go")) if p.is_file()]
size = sum(len(t.encode()) for t in texts)

def rate(f):
    start = time.process_time()
    f()
    return size / 1e6 / (time.process_time() - start)

t = Tokenizer(models.BPE())
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trainer = trainers.BpeTrainer(vocab_size=8192, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
train = rate(lambda: t.train_from_iterator(texts, trainer))

def encode():
    for text in texts: t.encode(text)

encode() # fills its cache
print(f"{train:.3f} {rate(encode):.3f}")
