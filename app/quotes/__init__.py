"""What sales answers: requests for a quote, with the reasons why a deal left the automatic route."""
