"""Compares graft with jinja2, set up as transformers sets it up, on all chat
templates (*.jinja) of a folder that you name, for the conversations of
renders.in.json and a few more. It prints the differences and what was equal.

    python compare.py path/to/graft path/to/templates    # needs jinja2 3.1
"""

import datetime
import json
import pathlib
import re
import subprocess
import sys

from renders import env, given

env.globals["strftime_now"] = datetime.datetime.now().strftime
talks = dict(given["conversations"])
talks["parts"] = {"messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image"}]},
                               {"role": "assistant", "content": [{"type": "text", "text": "ok"}]}]}
talks["nothing said"] = {"messages": [{"role": "assistant", "content": None}, {"role": "user"}]}
talks["no messages"] = {"messages": []}
tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def expected(template, talk, prompt):
    """Text and spans, or None where the template refuses."""
    try:
        env.blocks, env.spans = [], []
        values = dict(messages=talk["messages"], tools=talk.get("tools"), documents=None, add_generation_prompt=prompt)
        values.update(tokens, **talk.get("chat_template_kwargs", {}))
        for block in template.root_render_func(template.new_context(values)):
            env.blocks.append(block)
        return "".join(env.blocks), env.spans
    except Exception:
        return None


texts = spans = refused = wrong = 0
files = sorted(pathlib.Path(sys.argv[2]).rglob("*.jinja"))
for path in files:
    cases = [(name, talk, prompt) for name, talk in talks.items() for prompt in (False, True)]
    lines = "".join(json.dumps({"messages": t["messages"], "tools": t.get("tools"), "add_generation_prompt": p,
                                "kwargs": {**tokens, **t.get("chat_template_kwargs", {})}}) + "\n" for _, t, p in cases)
    out = subprocess.run([sys.argv[1], "template", str(path), "--json"], input=lines, capture_output=True, text=True)
    got = [json.loads(line) for line in out.stdout.splitlines()]
    if not got:  # it does not parse
        got = [{"error": out.stderr.strip()}] * len(cases)
    source = path.read_text()
    marked = re.search(r"{%[-+]?\s*generation\b", source)
    try:
        template = env.from_string(source)
    except Exception:
        template = None
    for (name, talk, prompt), have in zip(cases, got, strict=True):
        want = expected(template, talk, prompt)
        if want is None:
            refused += 1
            bad = "text" in have and "error" not in have
        else:
            texts += 1
            bad = have.get("text") != want[0]
            if not bad and marked:
                spans += 1
                bad = have.get("spans") != want[1]
        if bad:
            wrong += 1
            print(f"{path.name}, {name}, {prompt}:\n  want {str(want)[:300]}\n  have {str(have)[:300]}")
print(f"{len(files)} templates: {texts} texts and {spans} lists of spans compared, {refused} refused by both; {wrong} differences")
sys.exit(wrong > 0)
