"""What training asks of data, and what data sets share: things made ahead in a thread, arrays kept in files."""
