"""What resolvers wrote into their log files: each format one module, recognised by content."""
