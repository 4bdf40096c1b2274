"""Tables: schema, codec, synthesizer, metrics, report."""
