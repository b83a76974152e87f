"""One call from bytes to answer: order, pools and budgets. Every transform lives in imaging, every wait in batching."""
