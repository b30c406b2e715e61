//! The gateway as its users meet it: a child process, real servers behind it, real clients before it.
