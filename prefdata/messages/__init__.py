"""Messages: their thoughts and tool calls, as models write them and as others read them."""
