"""What tests share: clocks, builders, real servers."""
