"""What every test may ask for."""

pytest_plugins = ["tests.support.servers", "tests.support.cluster", "tests.support.installation", "tests.support.api"]
