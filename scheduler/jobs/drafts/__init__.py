"""New jobs on their way from what somebody asks for to rows."""
