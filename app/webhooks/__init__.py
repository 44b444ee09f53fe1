"""Telling other systems what happened: endpoints and deliveries."""
