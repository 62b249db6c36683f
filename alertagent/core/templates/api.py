"""Templates over HTTP."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from alertagent.core.alerts.model import AlertStatus
from alertagent.core.audit.model import actor_of
from alertagent.core.templates.model import MAX_SOURCE, Template, Text
from alertagent.core.templates.preview import Samples
from alertagent.core.templates.renderer import Fault
from alertagent.core.templates.service import Templates
from alertagent.kernel.language import Language
from alertagent.kernel.message import Line, Message, Wording
from alertagent.plugins.notifiers.outline import plain
from alertagent.storage.pages import PageRequest
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import NAMING, ListQuery, Model
from alertagent.web.replies import Page, Reply
from alertagent.web.routes import delete, get, post, put

Name = Annotated[str, Field(min_length=1, max_length=100), NAMING]
Source = Annotated[str, Field(max_length=MAX_SOURCE)]
Pairs = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=500)], Annotated[str, Field(max_length=16_384)]],
    Field(max_length=100),
]


class TextModel(Model):
    """What is empty is left to the layout of the channel's plugin."""

    title: Annotated[Source, Field(description="Makes one line.")] = ""
    body: Annotated[Source, Field(description="Makes everything below the title.")] = ""

    def text(self) -> Text:
        return Text(title=self.title, body=self.body)


class TextsModel(Model):
    """For readers of each language; where one is missing, its readers get the other."""

    zh: Annotated[TextModel | None, Field(alias="zh-CN")] = None
    en: TextModel | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any(text.title or text.body for text in self.texts().values()):
            raise ValueError("a template needs a title or a body in zh-CN or en")
        return self

    def texts(self) -> dict[Language, Text]:
        found = {Language.EN: self.en, Language.ZH: self.zh}
        return {language: model.text() for language, model in found.items() if model is not None}


class TemplateRequest(Model):
    name: Name
    texts: TextsModel


class TemplateChange(Model):
    """What is given replaces, what is absent stays; `texts` are replaced as a whole."""

    name: Name | None = None
    texts: TextsModel | None = None

    def changes(self) -> dict[str, Any]:
        texts = None if self.texts is None else self.texts.texts()
        return {name: value for name, value in {"name": self.name, "texts": texts}.items() if value is not None}


class TemplateView(Model):
    id: str
    name: str
    texts: Mapping[Language, TextModel]
    created_at: datetime
    updated_at: datetime


class PreviewRequest(TextModel):
    """About alerts of the store, about one alert with given labels, or else about two that are made up."""

    language: Language = Language.EN
    alerts: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
        Field(max_length=50, description="The ids of stored alerts."),
    ] = ()
    labels: Pairs = {}
    annotations: Pairs = {}
    status: AlertStatus = AlertStatus.FIRING

    @model_validator(mode="after")
    def _is_about_one_thing(self) -> Self:
        if self.alerts and (self.labels or self.annotations):
            raise ValueError("give either alerts, or labels and annotations")
        return self


class LineView(Model):
    """One line as a plugin draws it; `name` stands before a fact, `url` is where a link leads."""

    kind: Literal["fact", "heading", "item", "text", "link"]
    text: str
    name: str
    url: str


class FaultView(Model):
    part: Literal["title", "body"]
    message: str
    line: int | None


class PreviewView(Model):
    """What comes out, or what is wrong. Empty parts are those that the plugin's layout would fill."""

    title: str
    body: Annotated[str, Field(description="As plain text.")]
    lines: tuple[LineView, ...]
    errors: tuple[FaultView, ...]


class TemplatesApi:
    def __init__(self, templates: Templates, samples: Samples) -> None:
        self._templates = templates
        self._samples = samples

    @get("/templates", access=viewer("channels:read"))
    async def list(self, call: Call, query: ListQuery) -> Page[TemplateView]:
        """The templates of messages."""
        found, next_cursor, total = await self._templates.page(PageRequest(**query.model_dump()))
        return Page(items=[_view(each) for each in found], next_cursor=next_cursor, total=total)

    @post("/templates", access=editor("channels:write"), status=201)
    async def add(self, call: Call, body: TemplateRequest) -> Reply[TemplateView]:
        """Make a template."""
        return _reply(await self._templates.add(actor_of(call), body.name, body.texts.texts()))

    @post("/templates/preview", access=editor("channels:write"))
    async def preview(self, call: Call, body: PreviewRequest) -> PreviewView:
        """Show what a template would make of a message; nothing is stored or sent."""
        found = await self._templates.rendered(body.text(), await self._sample(body))
        if isinstance(found, Wording):
            return _preview(found)
        return PreviewView(title="", body="", lines=(), errors=tuple(_fault(*each) for each in found.items()))

    @get("/templates/{id}", access=viewer("channels:read"))
    async def read(self, call: Call, id: str) -> Reply[TemplateView]:
        """One template."""
        return _reply(await self._templates.get(id))

    @put("/templates/{id}", access=editor("channels:write"))
    async def revise(self, call: Call, id: str, body: TemplateChange) -> Reply[TemplateView]:
        """Change a template; channels that use it speak anew from their next message on."""
        return _reply(await self._templates.revise(actor_of(call), id, body.changes(), call.expected))

    @delete("/templates/{id}", access=editor("channels:write"))
    async def remove(self, call: Call, id: str) -> None:
        """Delete a template that no channel uses."""
        await self._templates.remove(actor_of(call), id, call.expected)

    async def _sample(self, body: PreviewRequest) -> Message:
        if body.alerts:
            return await self._samples.stored(body.alerts, body.language)
        if body.labels or body.annotations:
            return self._samples.given(body.labels, body.annotations, body.status, body.language)
        return self._samples.made_up(body.status, body.language)


def _view(template: Template) -> TemplateView:
    values = {name: getattr(template, name) for name in TemplateView.model_fields if name != "texts"}
    texts = {language: TextModel(title=text.title, body=text.body) for language, text in template.texts.items()}
    return TemplateView(**values, texts=texts)


def _reply(template: Template) -> Reply[TemplateView]:
    return Reply(data=_view(template), etag=str(template.revision))


def _preview(found: Wording) -> PreviewView:
    return PreviewView(
        title=found.title,
        body="\n".join(map(plain, found.lines)).strip(),
        lines=tuple(map(_line, found.lines)),
        errors=(),
    )


def _line(line: Line) -> LineView:
    kind: Any = line.kind.name.lower()
    return LineView(kind=kind, text=line.text, name=line.name, url=line.url)


def _fault(part: Any, fault: Fault) -> FaultView:
    return FaultView(part=part, message=fault.message, line=fault.line)
