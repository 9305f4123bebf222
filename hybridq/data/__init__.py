"""What training asks of data, and what data sets share: prefetching in a thread, arrays kept in files."""
