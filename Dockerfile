# BLP's image: built in one stage, run in another; no compiler, no root, nothing written to its own files.
FROM python:3.13-slim-trixie AS build
WORKDIR /srv/blp
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /srv/venv
COPY requirements.txt ./
RUN /srv/venv/bin/pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
RUN /srv/venv/bin/pip install --no-deps --no-build-isolation --editable .

FROM python:3.13-slim-trixie
WORKDIR /srv/blp
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin blp
COPY --from=build /srv/venv /srv/venv
COPY --from=build /srv/blp /srv/blp
COPY alembic ./alembic
COPY docs/procedures ./docs/procedures
ENV PATH=/srv/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 BLP_ENV=prod BLP_HOST=0.0.0.0
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT []
CMD ["blp", "serve"]
