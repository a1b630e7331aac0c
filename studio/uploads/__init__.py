"""Uploads that go on after the connection was cut, by the tus protocol."""
