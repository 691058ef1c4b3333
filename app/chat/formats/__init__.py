"""The formats of answers that models write: data, one module for each grammar of calls."""
