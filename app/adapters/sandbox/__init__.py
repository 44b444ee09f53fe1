"""A whole outside world for trying BLP: a payment provider, a mailbox, a tax registry, a provisioner, a clock.

It ships with the app, keeps tables of its own, and refuses to start in production.
"""
