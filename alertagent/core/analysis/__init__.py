"""What may have caused an alert, asked of an analyzer."""
