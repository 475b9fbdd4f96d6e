"""All tables in one place, for the migrations and for whoever needs the whole metadata."""

from sqlmodel import SQLModel

from dispatch.acceptance import AcceptanceTraining
from dispatch.appointment import Appointment
from dispatch.calendar import CalendarBlock
from dispatch.calendar_feed import CalendarFeed
from dispatch.catalogue import Service
from dispatch.customer import Customer
from dispatch.decision import Decision
from dispatch.events import Event
from dispatch.feedback import Feedback
from dispatch.gazetteer import GazetteerEntry, GazetteerRoad, GazetteerRoadWord, GazetteerWord
from dispatch.hold import Hold
from dispatch.idempotency import IdempotencyRecord
from dispatch.keys import ApiKey
from dispatch.message import Message
from dispatch.offer import Offer
from dispatch.offer_round import OfferRound
from dispatch.organization import Organization
from dispatch.outbox import Notification
from dispatch.pay import FormerPay
from dispatch.plan_input import PlanInput
from dispatch.plan_run import PlanRun
from dispatch.position import Position
from dispatch.promise import Promise
from dispatch.proof import Proof
from dispatch.review import Review
from dispatch.service_request import ServiceRequest
from dispatch.shift import Availability, Shift
from dispatch.technician import Engagement, Technician, TechnicianSkill
from dispatch.territory import Territory
from dispatch.webhook import WebhookDelivery, WebhookEndpoint

METADATA = SQLModel.metadata

TABLES = (
    AcceptanceTraining,
    ApiKey,
    Appointment,
    Availability,
    CalendarBlock,
    CalendarFeed,
    Customer,
    Decision,
    Engagement,
    Event,
    Feedback,
    FormerPay,
    GazetteerEntry,
    GazetteerRoad,
    GazetteerRoadWord,
    GazetteerWord,
    Hold,
    IdempotencyRecord,
    Notification,
    Message,
    Offer,
    OfferRound,
    Organization,
    PlanInput,
    PlanRun,
    Position,
    Promise,
    Review,
    Proof,
    Service,
    ServiceRequest,
    Shift,
    Technician,
    TechnicianSkill,
    Territory,
    WebhookDelivery,
    WebhookEndpoint,
)
