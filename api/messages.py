"""The thread about one visit, as its routes under a tracking link and under an appointment share it."""

from typing import Self

from flask import Response
from pydantic import ConfigDict, Field
from sqlmodel import col

from api import context
from api.pagination import Page, PageQuery, page_of, paginate
from api.render import answer
from api.schemas import Answer, Body, Instant, Text, example
from dispatch.access import actor_of
from dispatch.appointment import Appointment
from dispatch.message import Message, Sender, say, thread


class NewMessage(Body):
    """text: 1 to 2000 characters, something visible among them; white space around it goes."""

    model_config = example({"text": "The bell is broken; please knock."})

    text: Text


class MessageOut(Answer):
    """What was said. from: by which side."""

    model_config = ConfigDict(serialize_by_alias=True, populate_by_name=True)

    at: Instant
    from_: Sender = Field(alias="from")
    text: str

    @classmethod
    def of(cls, row: Message) -> Self:
        """Built from its row."""
        return cls(at=row.at, from_=row.sender, text=row.text)


class MessagePage(Page[MessageOut]):
    """One page of a thread, in the order in which it was written."""


def answer_thread(appointment: Appointment, query: PageQuery) -> Response:
    """A page of the visit's thread."""
    by = [col(Message.at), col(Message.id)]
    rows, cursor = paginate(context.session(), thread(appointment), query, by=by)
    return answer(page_of(MessagePage, [MessageOut.of(row) for row in rows], cursor))


def answer_said(appointment: Appointment, sender: Sender, body: NewMessage) -> Response:
    """What the caller has added to it."""
    by, now = actor_of(context.principal()), context.now()
    return answer(MessageOut.of(say(context.session(), appointment, sender, body.text, by, now)), 201)
