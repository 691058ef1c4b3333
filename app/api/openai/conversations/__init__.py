"""The Conversations API, and what Corral adds to it: lists, searches, branches, transfer."""
