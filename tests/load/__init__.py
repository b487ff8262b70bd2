"""The load tests are tested: each can hold, and each can fail."""
