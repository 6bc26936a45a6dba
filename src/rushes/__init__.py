"""Rushes: a self-hosted AI video studio that speaks the Pictory AI Studio API."""

__version__ = "0.1.0"
