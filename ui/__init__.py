"""The web app: Streamlit pages and the API in one service. Reads and asks; never computes."""
