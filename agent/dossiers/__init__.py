"""DIS dossiers (Domain Intelligence Schema 1.6) become a persona, a workflow and a mock API."""
