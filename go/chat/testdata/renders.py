"""Writes renders.json: what jinja2 makes of the built-in templates for the
conversations of renders.in.json, set up as transformers sets it up, with the
spans of {% generation %} in characters. Run with Python and jinja2 3.1:
python renders.py"""
import datetime, json, os
from jinja2 import nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        text = caller()
        start = sum(map(len, self.environment.blocks))
        self.environment.spans.append([start, start + len(text)])
        return text


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise TemplateError(message)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = datetime.datetime(2025, 3, 7, 14, 5, 9).strftime
here = os.path.dirname(os.path.abspath(__file__))
given = json.load(open(os.path.join(here, "renders.in.json")))


def main():
    out = []
    for name, tokens in sorted(given["tokens"].items()):
        template = env.from_string(open(os.path.join(here, "..", "templates", name + ".jinja")).read())
        for title, talk in given["conversations"].items():
            for prompt in (False, True):
                case = {"template": name, "conversation": title, "prompt": prompt}
                env.blocks, env.spans = [], []
                values = dict(messages=talk["messages"], tools=talk.get("tools"), documents=None, add_generation_prompt=prompt)
                values.update(tokens, **talk.get("chat_template_kwargs", {}))
                try:
                    for block in template.root_render_func(template.new_context(values)):
                        env.blocks.append(block)
                    case.update(text="".join(env.blocks), spans=env.spans)
                except Exception:
                    case["fails"] = True
                out.append(case)
    with open(os.path.join(here, "renders.json"), "w") as f:
        json.dump(out, f, ensure_ascii=False, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main()
