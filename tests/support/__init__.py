"""What tests share: servers, databases, scripted destinations, waiting."""
