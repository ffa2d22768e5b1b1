"""Kafka, and the only place that knows aiokafka: records in and out, with deadlines, and nothing skipped."""

from parvis.common.bus.consumer import Consumer
from parvis.common.bus.pipeline import Pipeline, Steps
from parvis.common.bus.producer import Producer
from parvis.common.bus.records import Received, Record, record

__all__ = ["Consumer", "Pipeline", "Producer", "Received", "Record", "Steps", "record"]
