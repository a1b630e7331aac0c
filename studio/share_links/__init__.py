"""Links that show one finished video to whoever has them, without a login, until they end."""
