//! cli: headless commands: arguments in, text or JSON out.
