"""What resolvers said of themselves: RCODE, AD, EDE."""
