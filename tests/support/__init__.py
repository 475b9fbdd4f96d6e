"""What the tests stand on: servers found or started, databases copied, a clock, a client."""
