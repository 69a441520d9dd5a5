//! SSH by libssh2, behind the shell port.
