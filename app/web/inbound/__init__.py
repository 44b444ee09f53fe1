"""Events that outside parties send us: verify, store, answer."""
