"""The process in which templates are rendered: a program of its own, run as a file, with nothing of ours in it.

A template may take all the time and memory that there is, and a sandbox written in Python has had holes. So this
process has no environment, cannot open a file or a socket, holds no more memory than MEMORY, and the kernel ends it
when a template has used up its computing time. Whoever started it starts another one then.

It reads frames (a length of four bytes, then JSON) from standard input and answers each with one on standard output.
What surprises: the time is the processor's, so that a busy machine breaks no template; and every value that a template
prints comes out between OPEN and CLOSE, so that the reader can tell it from what the template's author wrote.
"""

import json
import resource
import signal
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from jinja2 import Template, TemplateSyntaxError, Undefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

OPEN, CLOSE = "\x02", "\x03"
HEAD = struct.Struct(">I")

MEMORY = 256 * 1024 * 1024
MAX_OUTPUT = 64 * 1024
RENDER_SECONDS = 0.1
COMPILE_SECONDS = 1.0
_KNOWN_TEMPLATES = 16

# Everything else would take a part of the output out of its marks, read other templates, or hide what is printed.
_LANGUAGE = (
    "Add And Assign Call Compare Concat CondExpr Const Dict Div Filter FloorDiv For Getattr Getitem If Keyword List "
    "Mod Mul Name Neg Not Operand Or Output Pair Pos Pow Slice Sub Template TemplateData Test Tuple With"
)
# Those that escape for HTML would escape twice, and one that draws lots would tell something else on every attempt.
_USEFUL = (
    "abs batch capitalize count d default dictsort filesizeformat first float groupby int items join last length list "
    "lower map max min reject rejectattr replace reverse round select selectattr slice sort string sum title tojson "
    "trim truncate unique upper urlencode wordcount wordwrap"
)
NODES, FILTERS = frozenset(_LANGUAGE.split()), frozenset(_USEFUL.split())

_TAGS = {
    "AssignBlock": "set … endset",
    "CallBlock": "call",
    "Scope": "autoescape",
    "FilterBlock": "filter",
    "FromImport": "from … import",
}
_UNMARKED = str.maketrans("", "", OPEN + CLOSE)


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with a small language in it. Printed values are marked; a name that is not there prints nothing."""

    def __init__(self) -> None:
        super().__init__(
            optimized=False,  # which would compute what can be computed while it compiles
            finalize=_marked,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.globals = {"range": self.globals["range"]}
        self.filters = {name: found for name, found in self.filters.items() if name in FILTERS}


def _marked(value: object) -> str:
    if value is None or isinstance(value, Undefined) or callable(value):
        return ""
    return f"{OPEN}{str(value).translate(_UNMARKED)}{CLOSE}"


class Refused(Exception):
    """A template that says what it may not."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.line = line


class Workshop:
    """Compiles and renders, one frame at a time. Once its memory was used up it `is_spent`: little may be left."""

    def __init__(self) -> None:
        self.is_spent = False
        self._environment = Environment()
        self._templates: dict[str, Template] = {}

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """`data` renders a template; without it the template is only looked at, and `names` are those it may use."""
        try:
            template = self._compiled(asked["source"], asked.get("names"))
            if "data" not in asked:
                return {"text": ""}
            _allow(RENDER_SECONDS)
            return {"text": _bounded(template.generate(asked["data"]))}
        except TemplateSyntaxError as error:
            return {"error": error.message or "this is no template", "line": error.lineno}
        except Refused as error:
            return {"error": str(error), "line": error.line}
        except MemoryError:
            self.is_spent = True
            return {"error": f"it needs more than {MEMORY >> 20} MiB of memory", "line": None}
        except Exception as error:  # noqa: BLE001 - a template may fail in any way
            return {"error": f"{type(error).__name__}: {error}"[:500], "line": _line(error)}

    def _compiled(self, source: str, names: list[str] | None) -> Template:
        known = self._templates.get(source)
        if known is not None:
            return known
        _allow(COMPILE_SECONDS)
        tree = self._environment.parse(source)
        _judge(tree, None if names is None else {*names, *self._environment.globals})
        template = self._environment.from_string(tree)
        while len(self._templates) >= _KNOWN_TEMPLATES:
            del self._templates[next(iter(self._templates))]
        self._templates[source] = template
        return template


def _judge(tree: nodes.Template, names: set[str] | None) -> None:
    """Raises Refused for what is no part of the language, and for a name that is nowhere set."""
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"}
    for node in tree.find_all(nodes.Node):
        kind = type(node).__name__
        if kind not in NODES:
            raise Refused(f'"{_TAGS.get(kind, kind.lower())}" is not available here', node.lineno)
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise Refused(f'there is no filter "{node.name}"', node.lineno)
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise Refused(f'"{node.attr}" begins with _; write labels["{node.attr}"] for a label', node.lineno)
        if isinstance(node, nodes.Name) and names is not None and node.name not in names | own | {"loop"}:
            raise Refused(f'there is nothing called "{node.name}"', node.lineno)


def _bounded(chunks: Iterator[str]) -> str:
    kept, size = [], 0
    for chunk in chunks:
        size += len(chunk.encode("utf-8", "replace"))
        if size > MAX_OUTPUT:
            raise Refused(f"it makes more than {MAX_OUTPUT >> 10} KiB of text", None)
        kept.append(chunk)
    return "".join(kept)


def _line(error: Exception) -> int | None:
    """The last line of the template that the error passed through."""
    found, place = None, error.__traceback__
    while place is not None:
        if place.tb_frame.f_code.co_filename == "<template>":
            found = place.tb_lineno
        place = place.tb_next
    return found


def _allow(seconds: float) -> None:
    """Let the kernel end this process when it has computed for so long from now on; 0 takes that back."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def _frame(source: BinaryIO) -> Any:
    """None at the end."""
    head = source.read(HEAD.size)
    return json.loads(source.read(HEAD.unpack(head)[0])) if len(head) == HEAD.size else None


def main() -> None:
    workshop = Workshop()
    # What is imported late is imported now: no file can be opened later.
    workshop.answer({"source": "{% for x in [1] %}{{ x | upper }}{{ y.z }}{% endfor %}", "data": {}})
    workshop.answer({"source": "{{ '%s' | tojson }}{{ 'a b' | wordwrap(1) }}{{ [1] | groupby('a') }}", "data": {}})
    _allow(0)
    _confine()
    while not workshop.is_spent and (asked := _frame(sys.stdin.buffer)) is not None:
        # A template can write half of a surrogate pair, which no reader of JSON takes.
        answer = json.dumps(workshop.answer(asked), ensure_ascii=False).encode(errors="replace")
        _allow(0)
        sys.stdout.buffer.write(HEAD.pack(len(answer)) + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main()
