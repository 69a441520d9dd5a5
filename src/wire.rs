//! wire: builds backends, stores and services from settings.
