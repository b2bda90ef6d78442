"""Writes idioms.json: what jinja2 makes of idioms.in.json, set up as transformers
sets it up. Run with Python and jinja2 3.1: python idioms.py"""
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
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise TemplateError(message)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = datetime.datetime(2025, 3, 7, 14, 5, 9).strftime
here = os.path.dirname(os.path.abspath(__file__))
given = json.load(open(os.path.join(here, "idioms.in.json")))
out = []
for template in given["templates"]:
    case = {"template": template}
    try:
        case["text"] = env.from_string(template).render(**given["variables"])
    except Exception:
        case["fails"] = True
    out.append(case)
with open(os.path.join(here, "idioms.json"), "w") as f:
    json.dump(out, f, ensure_ascii=False, indent=0)
    f.write("\n")
